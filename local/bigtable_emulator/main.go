// The Bigtable emulator as Debian's Go packages carry it, for machines without the Google Cloud CLI.
package main

import (
	"flag"
	"fmt"
	"log"

	"cloud.google.com/go/bigtable/bttest"
	"google.golang.org/grpc"
)

func main() {
	host := flag.String("host", "127.0.0.1", "address to listen on")
	port := flag.Int("port", 8086, "port to listen on")
	flag.Parse()
	// A bulk load sends thousands of rows a request: the default limit of 4 MiB is too small.
	server, err := bttest.NewServer(fmt.Sprintf("%s:%d", *host, *port), grpc.MaxRecvMsgSize(256<<20), grpc.MaxSendMsgSize(256<<20))
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("serving Bigtable on %s", server.Addr)
	select {}
}
