curl {{base}}/v1/chat/completions \
-H "Content-Type: application/json" \
-H "Authorization: Bearer {{key}}" \
-d '{
 "messages": [{"role": "user", "content": "Say this message is from apigpt.cloud!"}],
 "temperature": 0.7
}'
