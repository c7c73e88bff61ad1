curl {{base}}/v1/completions \
-H "Content-Type: application/json" \
-H "Authorization: Bearer {{key}}" \
-d '{
    "model": "gpt-3.5-turbo",
    "prompt": "I am a",
    "max_tokens": 7,
    "temperature": 0
  }'
