-- Drops what indices say of rows that have expired. Answers of how many.

return sweep(tonumber(ARGV[1]))
