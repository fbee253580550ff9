package proxy

type hedge struct{}
