curl -H "Content-Type: application/json" -H "Authorization: Bearer {{key}}" -XPOST {{base}}/v1/chat/completions -d '{"messages": [{"role":"user","content":"请介绍一下你自己"}]}'  | iconv -f utf-8 -t utf-8  
