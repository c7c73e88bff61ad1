curl {{base}}/v1/embeddings \
-H "Content-Type: application/json" \
-H "Authorization: Bearer {{key}}" \
-d '{
    "input": "The food was delicious and the waiter...",
    "model": "text-embedding-ada-002"
  }'
