module coup

go 1.26
