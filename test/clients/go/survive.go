// The Go client of etcd at work while members of the cluster are killed; says on its standard output what it did and saw, in the lines that
// README in the folder above describes.
//
//	survive PREFIX ENDPOINT,ENDPOINT,... [AUTHORITY CERTIFICATE KEY]
//
// test/clients/go/survive.go
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	attemptLimit = 3 * time.Second
	keys         = 20
	pause        = 10 * time.Millisecond
)

var stopping = make(chan struct{})

func stopped() bool {
	select {
	case <-stopping:
		return true
	default:
		return false
	}
}

// attempt tries until it works; false: it was told to stop before.
func attempt(what string, try func(context.Context) error) bool {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), attemptLimit)
		err := try(ctx)
		cancel()
		if err == nil {
			return true
		}
		fmt.Println("error", what, err)
		if stopped() {
			return false
		}
		time.Sleep(pause)
	}
}

func write(client *clientv3.Client, prefix string) {
	for n := 1; !stopped(); n++ {
		key, value := fmt.Sprintf("%s/k/%d", prefix, n%keys), strconv.Itoa(n)
		if !attempt("put", func(ctx context.Context) error {
			done, err := client.Put(ctx, key, value)
			if err == nil {
				fmt.Println("put", key, value, done.Header.Revision)
			}
			return err
		}) {
			return
		}
		attempt("get", func(ctx context.Context) error {
			got, err := client.Get(ctx, key)
			if err == nil && len(got.Kvs) == 1 {
				fmt.Println("got", key, string(got.Kvs[0].Value), got.Kvs[0].ModRevision)
			} else if err == nil {
				fmt.Println("got", key, "-", 0)
			}
			return err
		})
		attempt("txn", func(ctx context.Context) error { return count(ctx, client, prefix+"/k/count") })
		time.Sleep(pause)
	}
}

// count adds one to a number, unless somebody else changes it meanwhile.
func count(ctx context.Context, client *clientv3.Client, key string) error {
	got, err := client.Get(ctx, key)
	if err != nil {
		return err
	}
	n, revision := 0, int64(0)
	if len(got.Kvs) != 0 {
		n, _ = strconv.Atoi(string(got.Kvs[0].Value))
		revision = got.Kvs[0].ModRevision
	}
	value := strconv.Itoa(n + 1)
	done, err := client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", revision)).Then(clientv3.OpPut(key, value)).Commit()
	if err == nil && done.Succeeded {
		fmt.Println("put", key, value, done.Header.Revision)
	}
	return err
}

func options(arguments []string) (clientv3.Config, error) {
	config := clientv3.Config{Endpoints: strings.Split(arguments[0], ","), DialTimeout: attemptLimit}
	if len(arguments) == 1 {
		return config, nil
	}
	authority, err := os.ReadFile(arguments[1])
	if err != nil {
		return config, err
	}
	pair, err := tls.LoadX509KeyPair(arguments[2], arguments[3])
	if err != nil {
		return config, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	config.TLS = &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}
	return config, nil
}

func main() {
	config, err := options(os.Args[2:])
	if err != nil {
		fmt.Println("fatal", err)
		os.Exit(1)
	}
	client, err := clientv3.New(config)
	if err != nil {
		fmt.Println("fatal", err)
		os.Exit(1)
	}
	written := make(chan struct{})
	go func() {
		write(client, os.Args[1])
		close(written)
	}()
	bufio.NewScanner(os.Stdin).Scan()
	close(stopping)
	<-written
}
