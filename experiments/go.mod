module experiments

go 1.19
