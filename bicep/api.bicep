// The API of one route group in the gateway: its backend with a circuit breaker, its operations from the OpenAPI
// document, and its policy. `deploy` runs it once for each group, after the group's app: all documents together would
// be more than one deployment may hold (4 MB), and so a group's API changes when its app does.

@description('Name of the gateway.')
param gatewayName string

@description('Name of the route group.')
param group string

@description('Host name of the group\'s app.')
param hostName string

@description('The group\'s OpenAPI document, openapi/<group>.json.')
param document object

var manifest = loadJsonContent('platform.json')
var declared = first(filter(manifest.groups, one => one.name == group))
var route = manifest.routes[group]

// Import spells `begin_login` as `begin-login`; both are listed.
var publicNames = map(filter(declared.operations, one => one.public), one => one.operationId)
var publicOperations = join(concat(publicNames, map(publicNames, name => replace(name, '_', '-'))), ',')

// Whatever else is asked of the group reaches it too, so that its handler says what is wrong.
var methods = ['get', 'head', 'post', 'put', 'patch', 'delete', 'options']
var anything = toObject(methods, method => method, method => {
  operationId: 'any_${method}'
  summary: 'Anything else'
  responses: { default: { description: 'The answer of the group.' } }
})
// Paths in the document are whole; in an API they begin behind its prefix.
var prefixed = string(union(document, { paths: { '/*': anything } }))
var operations = replace(replace(prefixed, '"/api/${group}/', '"/'), '"/api/${group}":', '"/":')

var policyText = loadTextContent('policies/api.xml')
var policyForGroup = replace(replace(policyText, '__GROUP__', group), '__PUBLIC_OPERATIONS__', publicOperations)
var policyWithLimits = replace(replace(policyForGroup, '__TIMEOUT__', string(route.headerTimeoutSeconds)), '__BODY_LIMIT__', string(route.bodyLimitBytes))

resource gateway 'Microsoft.ApiManagement/service@2024-05-01' existing = { name: gatewayName }

// Five failures in a minute leave the group alone for half a minute, as in the local gateway. Only what shows that no
// handler is there counts: if its own answers did, one customer's failing webhook could close the group to all.
resource backend 'Microsoft.ApiManagement/service/backends@2024-05-01' = {
  parent: gateway
  name: 'group-${group}'
  properties: {
    protocol: 'http'
    url: 'https://${hostName}/api/${group}'
    tls: { validateCertificateChain: true, validateCertificateName: true }
    circuitBreaker: {
      rules: [
        {
          name: 'away'
          tripDuration: 'PT30S'
          acceptRetryAfter: false
          failureCondition: {
            count: 5
            interval: 'PT1M'
            errorReasons: ['BackendConnectionFailure', 'Timeout']
          }
        }
      ]
    }
  }
}

resource api 'Microsoft.ApiManagement/service/apis@2024-05-01' = {
  parent: gateway
  name: group
  properties: {
    displayName: document.info.title
    description: declared.summary
    path: 'api/${group}'
    protocols: ['https']
    // Callers are known by their tokens and API keys, not by keys of the gateway.
    subscriptionRequired: false
    format: 'openapi+json'
    value: operations
  }
}

resource policy 'Microsoft.ApiManagement/service/apis/policies@2024-05-01' = {
  parent: api
  name: 'policy'
  dependsOn: [backend]
  properties: { format: 'xml', value: policyWithLimits }
}
