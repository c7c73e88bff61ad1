import requests
URL = '{{base}}/v1/chat/completions'
resp = requests.post(URL, json={
    'model': 'gpt-3.5-turbo',
    'messages': [{'role': 'user', 'content': '回复这是一个测试'}],
    'temperature': 0,
}, headers={
    'Authorization': " Bearer {{key}}"
})
print(resp.json())
