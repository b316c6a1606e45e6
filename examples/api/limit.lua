--- Token buckets: a client has `burst` tokens, gets `rate` new ones a second, and pays one for
--- each request.
local limit = {}
limit.__index = limit

function limit.new(rate, burst)
  return setmetatable({ rate = rate, burst = burst, buckets = {} }, limit)
end

--- Whether `name` may go on at time `now`; if not, seconds until it may.
function limit:take(name, now)
  local bucket = self.buckets[name] or { tokens = self.burst, at = now }
  self.buckets[name] = bucket
  bucket.tokens = math.min(self.burst, bucket.tokens + (now - bucket.at) * self.rate)
  bucket.at = now
  if bucket.tokens < 1 then return false, (1 - bucket.tokens) / self.rate end
  bucket.tokens = bucket.tokens - 1
  return true
end

--- Forget those who have all their tokens back.
function limit:sweep(now)
  for name, bucket in pairs(self.buckets) do
    if bucket.tokens + (now - bucket.at) * self.rate >= self.burst then self.buckets[name] = nil end
  end
end

return limit
