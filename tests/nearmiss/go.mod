module nearmiss

go 1.19
