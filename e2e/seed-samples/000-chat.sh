        curl {{base}}/v1/chat/completions \
            -H "Content-Type: application/json" \
            -H "Authorization:  Bearer $API_TOKEN" \
            -d '{
                "model": "gpt-3.5-turbo",
                "messages": [{"role": "user", "content": "Say this is a test!"}],
                "temperature": 0.7
            }'
