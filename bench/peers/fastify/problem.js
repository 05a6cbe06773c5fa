// Refusals as problem+json.

export class Refusal extends Error {
  constructor (status, code, detail, errors) {
    super(detail)
    Object.assign(this, { statusCode: status, code, errors })
  }
}

export const answerProblems = (app) => {
  app.setErrorHandler((error, request, reply) => {
    const status = error.statusCode ?? 500
    if (status >= 500) request.log.error(error)
    const detail = status >= 500 ? 'Something went wrong on our side; the request id names it.' : error.message
    return reply.code(status).type('application/problem+json').send({
      type: 'about:blank', status, code: error.code, detail, errors: error.errors, requestId: request.id
    })
  })
  app.setNotFoundHandler(() => { throw new Refusal(404, 'not_found', 'There is nothing at this address.') })
}
