// franz-go: the protocol written anew in Go. Moves to topic ids as soon as a broker offers them.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

type arguments struct {
	Topic, Source, Group, ID, Codec, Isolation string
	From, Count                                int
	PauseMs                                    int `json:"pause_ms"`
}

func say(fields map[string]any) {
	line, _ := json.Marshal(fields)
	fmt.Println(string(line))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func record(topic string, number int) *kgo.Record {
	key, value := fmt.Sprintf("k%d", number), fmt.Sprintf("v%d-%s", number, strings.Repeat("x", 100))
	return &kgo.Record{Topic: topic, Key: []byte(key), Value: []byte(value)}
}

func client(bootstrap string, more ...kgo.Opt) *kgo.Client {
	c, err := kgo.NewClient(append(more, kgo.SeedBrokers(bootstrap), kgo.MetadataMinAge(100*time.Millisecond))...)
	check(err)
	return c
}

func produce(ctx context.Context, bootstrap string, a arguments) {
	codecs := map[string]kgo.CompressionCodec{
		"": kgo.NoCompression(), "none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	c := client(bootstrap, kgo.ProducerBatchCompression(codecs[a.Codec]))
	for number := a.From; number < a.From+a.Count; number++ {
		c.Produce(ctx, record(a.Topic, number), func(_ *kgo.Record, err error) { check(err) })
		time.Sleep(time.Duration(a.PauseMs) * time.Millisecond)
	}
	check(c.Flush(ctx))
	c.Close()
	say(map[string]any{"produced": a.Count})
}

func isolation(name string) kgo.Opt {
	if name == "read_uncommitted" {
		return kgo.FetchIsolationLevel(kgo.ReadUncommitted())
	}
	return kgo.FetchIsolationLevel(kgo.ReadCommitted())
}

func consume(ctx context.Context, bootstrap string, a arguments) {
	c := client(bootstrap, kgo.ConsumeTopics(a.Topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), isolation(a.Isolation))
	seen, deadline := 0, time.Now().Add(30*time.Second)
	for time.Now().Before(deadline) {
		step, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		fetches := c.PollFetches(step)
		cancel()
		before := seen
		fetches.EachRecord(func(r *kgo.Record) {
			seen++
			say(map[string]any{"key": string(r.Key), "partition": r.Partition, "offset": r.Offset})
		})
		if before < a.Count && seen >= a.Count {
			deadline = time.Now().Add(time.Second)
		}
	}
	c.Close()
}

func member(ctx context.Context, bootstrap string, a arguments) {
	ctx, cancel := context.WithCancel(ctx)
	go func() { io.Copy(io.Discard, os.Stdin); cancel() }()
	held := map[int32]bool{}
	report := func() {
		assigned := []int32{}
		for partition := range held {
			assigned = append(assigned, partition)
		}
		slices.Sort(assigned)
		say(map[string]any{"assigned": assigned})
	}
	lost := func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
		for _, partition := range partitions[a.Topic] {
			delete(held, partition)
		}
		report()
	}
	gained := func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
		for _, partition := range partitions[a.Topic] {
			held[partition] = true
		}
		report()
	}
	c := client(bootstrap, kgo.ConsumeTopics(a.Topic), kgo.ConsumerGroup(a.Group), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(500*time.Millisecond),
		kgo.OnPartitionsAssigned(gained), kgo.OnPartitionsRevoked(lost), kgo.OnPartitionsLost(lost))
	for ctx.Err() == nil {
		fetches := c.PollFetches(ctx)
		fetches.EachRecord(func(r *kgo.Record) { say(map[string]any{"key": string(r.Key)}) })
		if fetches.NumRecords() > 0 {
			_ = c.CommitUncommittedOffsets(ctx) // a rebalance may refuse it; the record is then read again
		}
	}
	c.Close()
}

func transact(ctx context.Context, bootstrap string, a arguments) {
	c := client(bootstrap, kgo.TransactionalID(a.ID))
	for step := range 3 {
		check(c.BeginTransaction())
		for number := a.From + step*10; number < a.From+step*10+10; number++ {
			c.Produce(ctx, record(a.Topic, number), func(_ *kgo.Record, err error) { check(err) })
		}
		check(c.Flush(ctx))
		check(c.EndTransaction(ctx, kgo.TransactionEndTry(step != 1)))
	}
	c.Close()
	say(map[string]any{"done": true})
}

func transform(ctx context.Context, bootstrap string, a arguments) {
	s, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(bootstrap), kgo.TransactionalID(a.ID), kgo.ConsumeTopics(a.Source),
		kgo.ConsumerGroup(a.Group), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	check(err)
	copied, deadline := 0, time.Now().Add(60*time.Second)
	for copied < a.Count && time.Now().Before(deadline) {
		step, cancel := context.WithTimeout(ctx, time.Second)
		fetches := s.PollFetches(step)
		cancel()
		if fetches.NumRecords() == 0 {
			continue
		}
		check(s.Begin())
		fetches.EachRecord(func(r *kgo.Record) {
			s.Produce(ctx, &kgo.Record{Topic: a.Topic, Key: r.Key, Value: r.Value}, func(_ *kgo.Record, err error) { check(err) })
		})
		committed, err := s.End(ctx, kgo.TryCommit)
		check(err)
		if committed {
			copied += fetches.NumRecords()
		}
	}
	s.Close()
	say(map[string]any{"copied": copied})
}

func main() {
	verb, bootstrap := os.Args[1], os.Args[2]
	var a arguments
	check(json.Unmarshal([]byte(os.Args[3]), &a))
	verbs := map[string]func(context.Context, string, arguments){
		"produce": produce, "consume": consume, "member": member, "transact": transact, "copy": transform,
	}
	ctx, cancel := context.WithTimeout(context.Background(), 180*time.Second)
	defer cancel()
	verbs[verb](ctx, bootstrap, a)
}
