curl {{base}}/v1/chat/completions \
-H "Content-Type: application/json" \
-H "Authorization: Bearer {{key}}" \
-d '{
 "messages": [{"role": "user", "content": "You are a helpful assistant."}],
 "temperature": 0.7
}'
