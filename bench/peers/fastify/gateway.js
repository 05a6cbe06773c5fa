// The gateway: checks tokens, limits callers, and passes requests on over connections that stay open.

import { randomBytes, randomUUID } from 'node:crypto'

import proxy from '@fastify/http-proxy'
import rateLimit from '@fastify/rate-limit'
import fastify from 'fastify'

import { authenticate } from './authentication.js'
import { answerProblems } from './problem.js'
import { host, limitPerMinute, port, server, upstream } from './settings.js'

const trace = () => `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-01`

const app = fastify({ ...server, genReqId: () => randomUUID() })
answerProblems(app)
authenticate(app)
await app.register(rateLimit, {
  max: limitPerMinute,
  timeWindow: '1 minute',
  hook: 'preHandler',
  keyGenerator: (request) => request.caller.sub
})
await app.register(proxy, {
  upstream: upstream(),
  prefix: '/api/users',
  rewritePrefix: '/api/users',
  undici: { connections: 128, pipelining: 1, keepAliveTimeout: 60_000 },
  replyOptions: {
    rewriteRequestHeaders: (request, headers) => ({
      ...headers,
      'x-request-id': request.id,
      'x-forwarded-for': request.ip,
      traceparent: headers.traceparent ?? trace()
    })
  }
})
console.log(`listening ${await app.listen({ host, port })}`)
