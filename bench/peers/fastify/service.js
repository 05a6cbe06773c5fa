// The service of teams. It checks the token again: it trusts no header but a credential.

import fastify from 'fastify'
import { z } from 'zod'

import { authenticate } from './authentication.js'
import { answerProblems, Refusal } from './problem.js'
import { dataDirectory, host, port, server, synchronous } from './settings.js'
import { Teams } from './store.js'

const TeamWrite = z.strictObject({
  name: z.string().min(1).max(80),
  description: z.string().max(1000).nullish(),
  parentTeamId: z.uuid().nullish(),
  archived: z.boolean().default(false)
})
const Team = z.object({
  id: z.string(),
  name: z.string(),
  slug: z.string(),
  description: z.string().nullable(),
  parentTeamId: z.string().nullable(),
  archivedAt: z.string().nullable(),
  organizationId: z.string(),
  createdAt: z.string(),
  createdBy: z.string(),
  updatedAt: z.string(),
  updatedBy: z.string(),
  etag: z.string()
})
const Id = z.object({ teamId: z.uuid() })

// Zod checks what comes in; what goes out is written by a serializer compiled from the same kind of schema.
const { $schema, ...team } = z.toJSONSchema(Team)
const fault = ({ path, code, message }) => ({ pointer: `/${path.join('/')}`, code, message })
const validatorCompiler = ({ schema }) => (data) => {
  const { success, data: value, error } = schema.safeParse(data)
  if (success) return { value }
  return { error: new Refusal(400, 'invalid', 'The request has faults.', error.issues.map(fault)) }
}

// Reading and writing need a role that has the permission.
const allowed = (...roles) => async ({ caller }) => {
  if (!caller.org || !roles.some((role) => caller.roles?.includes(role))) {
    throw new Refusal(403, 'forbidden', 'This needs a permission that you do not have.')
  }
}

const teams = new Teams(dataDirectory(), synchronous)
const app = fastify(server)
app.setValidatorCompiler(validatorCompiler)
answerProblems(app)
authenticate(app)

app.get('/api/users/teams/:teamId', {
  schema: { params: Id, response: { 200: team } },
  preHandler: allowed('owner', 'admin', 'member', 'viewer')
}, async (request, reply) => {
  const found = teams.read(request.caller.org, request.params.teamId)
  if (!found) throw new Refusal(404, 'not_found', 'There is no such team.')
  reply.header('etag', `"${found.etag}"`)
  return found
})

app.post('/api/users/teams', {
  schema: { body: TeamWrite, response: { 201: team } },
  preHandler: allowed('owner', 'admin')
}, async (request, reply) => {
  const made = teams.create(request.caller, request.id, request.body)
  reply.code(201).header('etag', `"${made.etag}"`).header('location', `/api/users/teams/${made.id}`)
  return made
})

console.log(`listening ${await app.listen({ host, port })}`)
