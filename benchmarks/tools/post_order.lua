dofile("/bench/summary.lua")
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"user_id": "20", "number_of_items": "99", "total_amount": "250"}'
