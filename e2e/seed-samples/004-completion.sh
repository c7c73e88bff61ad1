curl -H "Content-Type: application/json" -XPOST {{base}}/index.php/api/v1/chat/completions -d '{
  "api_secret_key":"{{key}}",
  "messages": [
    {"role":"user","content":"请介绍一下你自己"}
  ]
}'  | iconv -f utf-8 -t utf-8
