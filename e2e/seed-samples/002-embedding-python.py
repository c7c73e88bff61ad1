import openai
openai.api_key = '{{key}}'
openai.api_base = '{{base}}/v1'
res = openai.Embedding.create(
  model="text-embedding-ada-002",
  input="The food was delicious and the waiter..."
)
print(res)
