// kafkajs: the protocol written anew in JavaScript. It brings gzip; snappy is an add-on in plain JavaScript; the add-ons for
// LZ4 and zstd are native code that no longer builds, so those two codecs are left to the other clients.
const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = require('kafkajs')
CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')

const say = (fields) => process.stdout.write(JSON.stringify(fields) + '\n')
const record = (i) => ({ key: `k${i}`, value: `v${i}-` + 'x'.repeat(100) })
const records = (from, count) => Array.from({ length: count }, (_, i) => record(from + i))
const sleep = (ms) => new Promise((done) => setTimeout(done, ms))
const stdinEnded = () => new Promise((done) => process.stdin.on('end', done).on('close', done).resume())
const CODECS = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy }

const verbs = {
  async produce(kafka, a) {
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, retry: { retries: 60 } })
    await producer.connect()
    const step = a.pause_ms ? 1 : 100
    for (let i = a.from; i < a.from + a.count; i += step) {
      const messages = records(i, Math.min(step, a.from + a.count - i))
      await producer.send({ topic: a.topic, acks: -1, compression: CODECS[a.codec || 'none'], messages })
      if (a.pause_ms) await sleep(a.pause_ms)
    }
    await producer.disconnect()
    say({ produced: a.count })
  },

  async consume(kafka, a) {
    const readUncommitted = a.isolation === 'read_uncommitted'
    const consumer = kafka.consumer({ groupId: `reader-${process.pid}-${Date.now()}`, readUncommitted, maxWaitTimeInMs: 200 })
    await consumer.connect()
    await consumer.subscribe({ topic: a.topic, fromBeginning: true })
    let seen = 0
    await consumer.run({
      eachMessage: async ({ partition, message }) => {
        seen += 1
        say({ key: message.key.toString(), partition, offset: Number(message.offset) })
      },
    })
    const deadline = Date.now() + 30000
    while (seen < a.count && Date.now() < deadline) await sleep(50)
    await sleep(1000)
    await consumer.disconnect()
  },

  async member(kafka, a) {
    const consumer = kafka.consumer({ groupId: a.group, sessionTimeout: 6000, heartbeatInterval: 500, maxWaitTimeInMs: 200 })
    consumer.on(consumer.events.GROUP_JOIN, (event) => say({ assigned: (event.payload.memberAssignment[a.topic] || []).sort() }))
    await consumer.connect()
    await consumer.subscribe({ topic: a.topic, fromBeginning: true })
    await consumer.run({ eachMessage: async ({ message }) => say({ key: message.key.toString() }) })
    await stdinEnded()
    await consumer.disconnect()
  },

  async transact(kafka, a) {
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, transactionalId: a.id })
    await producer.connect()
    for (let step = 0; step < 3; step += 1) {
      const transaction = await producer.transaction()
      await transaction.send({ topic: a.topic, acks: -1, messages: records(a.from + step * 10, 10) })
      if (step === 1) await transaction.abort()
      else await transaction.commit()
    }
    await producer.disconnect()
    say({ done: true })
  },

  async copy(kafka, a) {
    const consumer = kafka.consumer({ groupId: a.group, maxWaitTimeInMs: 200 })
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, transactionalId: a.id })
    await producer.connect()
    await consumer.connect()
    await consumer.subscribe({ topic: a.source, fromBeginning: true })
    let copied = 0
    await consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch }) => {
        if (batch.messages.length === 0) return
        const transaction = await producer.transaction()
        await transaction.send({ topic: a.topic, acks: -1, messages: batch.messages.map(({ key, value }) => ({ key, value })) })
        const offset = String(Number(batch.lastOffset()) + 1)
        await transaction.sendOffsets({ consumerGroupId: a.group, topics: [{ topic: a.source, partitions: [{ partition: batch.partition, offset }] }] })
        await transaction.commit()
        copied += batch.messages.length
      },
    })
    const deadline = Date.now() + 60000
    while (copied < a.count && Date.now() < deadline) await sleep(50)
    await consumer.disconnect()
    await producer.disconnect()
    say({ copied })
  },
}

const [verb, bootstrap, json] = process.argv.slice(2)
const kafka = new Kafka({ brokers: [bootstrap], clientId: 'weft-e2e', logLevel: logLevel.NOTHING, retry: { initialRetryTime: 100, retries: 30 } })
verbs[verb](kafka, JSON.parse(json)).then(
  () => process.exit(0),
  (error) => {
    console.error(error)
    process.exit(1)
  }
)
