module hashgen

go 1.19
