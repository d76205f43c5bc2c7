module gocompare

go 1.21
