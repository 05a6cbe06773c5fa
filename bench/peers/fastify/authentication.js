// Access tokens: RS256 with a pinned issuer, audience and type; what was verified once is remembered.

import { createVerifier } from 'fast-jwt'

import { Refusal } from './problem.js'
import { issuer, publicKey } from './settings.js'

const CACHED = 20_000

export const authenticate = (app) => {
  const verify = createVerifier({
    key: publicKey(),
    algorithms: ['RS256'],
    allowedIss: issuer,
    allowedAud: 'coder',
    checkTyp: 'at+jwt',
    requiredClaims: ['sub', 'exp'],
    clockTolerance: 60_000,
    cache: CACHED
  })
  app.decorateRequest('caller', null)
  app.addHook('onRequest', async (request) => {
    const credential = request.headers.authorization
    if (!credential?.startsWith('Bearer ')) {
      throw new Refusal(401, 'unauthenticated', 'Send an access token.')
    }
    try {
      request.caller = verify(credential.slice(7))
    } catch (cause) {
      throw new Refusal(401, 'token_invalid', 'The access token does not hold.')
    }
  })
}
