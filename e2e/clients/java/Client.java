import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeSet;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Apache Kafka's own Java clients. Compiled by `cargo xtask peers`; verbs: README.md beside the other clients. */
public class Client {
    static void say(String json) {
        System.out.println(json);
        System.out.flush();
    }

    static ProducerRecord<byte[], byte[]> record(String topic, int number) {
        return new ProducerRecord<>(topic, ("k" + number).getBytes(), ("v" + number + "-" + "x".repeat(100)).getBytes());
    }

    static KafkaProducer<byte[], byte[]> producer(String bootstrap, Map<String, String> more) {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("acks", "all");
        p.put("linger.ms", "1");
        p.putAll(more);
        return new KafkaProducer<>(p, new ByteArraySerializer(), new ByteArraySerializer());
    }

    static KafkaConsumer<byte[], byte[]> consumer(String bootstrap, Map<String, String> more) {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("auto.offset.reset", "earliest");
        p.put("enable.auto.commit", "false");
        p.putAll(more);
        return new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    static void produce(String bootstrap, JsonNode a) throws Exception {
        var p = producer(bootstrap, Map.of("compression.type", a.path("codec").asText("none"), "delivery.timeout.ms", "120000"));
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (int i = a.get("from").asInt(); i < a.get("from").asInt() + a.get("count").asInt(); i++) {
            sent.add(p.send(record(a.get("topic").asText(), i)));
            Thread.sleep(a.path("pause_ms").asInt(0));
        }
        for (var future : sent) future.get();
        p.close();
        say("{\"produced\": " + sent.size() + "}");
    }

    static void consume(String bootstrap, JsonNode a) {
        var c = consumer(bootstrap, Map.of("isolation.level", a.path("isolation").asText("read_committed")));
        String topic = a.get("topic").asText();
        List<TopicPartition> partitions = new ArrayList<>();
        c.partitionsFor(topic).forEach(p -> partitions.add(new TopicPartition(topic, p.partition())));
        c.assign(partitions);
        c.seekToBeginning(partitions);
        int seen = 0, count = a.get("count").asInt();
        long deadline = System.currentTimeMillis() + 30_000;
        while (System.currentTimeMillis() < deadline) {
            int before = seen;
            for (var r : c.poll(Duration.ofMillis(100))) {
                seen++;
                say("{\"key\": \"" + new String(r.key()) + "\", \"partition\": " + r.partition() + ", \"offset\": " + r.offset() + "}");
            }
            if (before < count && seen >= count) deadline = System.currentTimeMillis() + 1_000;
        }
        c.close();
    }

    static void member(String bootstrap, JsonNode a) {
        var stop = new AtomicBoolean();
        Thread watch = new Thread(() -> {
            try {
                while (System.in.read() >= 0) {}
            } catch (java.io.IOException closed) {
                // closed is what we wait for
            }
            stop.set(true);
        });
        watch.setDaemon(true);
        watch.start();
        Map<String, String> more = new HashMap<>(Map.of("group.id", a.get("group").asText()));
        if (a.path("protocol").asText("classic").equals("classic")) {
            more.put("session.timeout.ms", "6000");
            more.put("heartbeat.interval.ms", "500");
        } else {
            more.put("group.protocol", "consumer");
        }
        var c = consumer(bootstrap, more);
        c.subscribe(List.of(a.get("topic").asText()), new ConsumerRebalanceListener() {
            @Override
            public void onPartitionsRevoked(Collection<TopicPartition> partitions) {}

            @Override
            public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                var held = new TreeSet<Integer>();
                c.assignment().forEach(p -> held.add(p.partition()));
                partitions.forEach(p -> held.add(p.partition()));
                say("{\"assigned\": " + held + "}");
            }
        });
        while (!stop.get()) {
            ConsumerRecords<byte[], byte[]> records = c.poll(Duration.ofMillis(100));
            for (var r : records) say("{\"key\": \"" + new String(r.key()) + "\"}");
            if (!records.isEmpty()) c.commitSync();
        }
        c.close();
    }

    static void transact(String bootstrap, JsonNode a) {
        var p = producer(bootstrap, Map.of("transactional.id", a.get("id").asText()));
        p.initTransactions();
        for (int step = 0; step < 3; step++) {
            p.beginTransaction();
            for (int i = 0; i < 10; i++) p.send(record(a.get("topic").asText(), a.get("from").asInt() + step * 10 + i));
            p.flush();
            if (step == 1) p.abortTransaction();
            else p.commitTransaction();
        }
        p.close();
        say("{\"done\": true}");
    }

    static void copy(String bootstrap, JsonNode a) {
        var c = consumer(bootstrap, Map.of("group.id", a.get("group").asText(), "isolation.level", "read_committed", "max.poll.records", "25"));
        c.subscribe(List.of(a.get("source").asText()));
        var p = producer(bootstrap, Map.of("transactional.id", a.get("id").asText()));
        p.initTransactions();
        int copied = 0;
        long deadline = System.currentTimeMillis() + 60_000;
        while (copied < a.get("count").asInt() && System.currentTimeMillis() < deadline) {
            var records = c.poll(Duration.ofMillis(500));
            if (records.isEmpty()) continue;
            p.beginTransaction();
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
            for (ConsumerRecord<byte[], byte[]> r : records) {
                p.send(new ProducerRecord<>(a.get("topic").asText(), r.key(), r.value()));
                offsets.put(new TopicPartition(r.topic(), r.partition()), new OffsetAndMetadata(r.offset() + 1));
            }
            p.sendOffsetsToTransaction(offsets, c.groupMetadata());
            p.commitTransaction();
            copied += records.count();
        }
        c.close();
        p.close();
        say("{\"copied\": " + copied + "}");
    }

    public static void main(String[] args) throws Exception {
        JsonNode a = new ObjectMapper().readTree(args[2]);
        switch (args[0]) {
            case "produce" -> produce(args[1], a);
            case "consume" -> consume(args[1], a);
            case "member" -> member(args[1], a);
            case "transact" -> transact(args[1], a);
            case "copy" -> copy(args[1], a);
            default -> throw new IllegalArgumentException(args[0]);
        }
    }
}
