import openai
openai.api_key = '{{key}}'
openai.api_base = '{{base}}/v1'
res = openai.Completion.create(
  model="gpt-3.5-turbo",
  prompt="I am a",
  max_tokens=7,
  temperature=0
)
print(res)
