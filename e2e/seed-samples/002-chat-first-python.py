#你也可以用Python代码来发送第一个 API 请求
import openai
openai.api_key = '{{key}}'
openai.api_base = '{{base}}/v1'
res = openai.ChatCompletion.create(
    model="gpt-3.5-turbo",
    messages=[{"role": "user", "content": "Hello world"}],
    temperature=1,
    max_tokens=1000,
)
print(res)
