module mapfunctions

go 1.19
