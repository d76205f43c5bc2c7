module stores

go 1.19
