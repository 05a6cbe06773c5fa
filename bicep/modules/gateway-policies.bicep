// What the gateway answers to everything: named values, policy fragments, the policy of all APIs, and `/health/live`.

@description('Name of the gateway.')
param gatewayName string

@description('Where clients reach the platform, without a slash at the end.')
param publicUrl string

@description('Origins whose pages may call the API from a browser.')
param allowedOrigins array

@description('Host name of the app of `auth`, which publishes the keys of tokens.')
param authHost string

@description('Client id of the app registration that stands for the platform.')
param platformClientId string

var values = {
  'allowed-origins': empty(allowedOrigins) ? publicUrl : join(allowedOrigins, ',')
  'auth-host': authHost
  'platform-client-id': platformClientId
  'token-audience': 'coder'
  'token-issuer': '${publicUrl}/api/auth'
}

var fragments = {
  'coder-caller': loadTextContent('../policies/coder-caller.xml')
  'coder-explain': loadTextContent('../policies/coder-explain.xml')
  'coder-finish': loadTextContent('../policies/coder-finish.xml')
  'coder-identify': loadTextContent('../policies/coder-identify.xml')
  'coder-preflight': loadTextContent('../policies/coder-preflight.xml')
  'coder-problem-body': loadTextContent('../policies/coder-problem-body.xml')
  'coder-refuse': loadTextContent('../policies/coder-refuse.xml')
  'coder-request': loadTextContent('../policies/coder-request.xml')
  'coder-write': loadTextContent('../policies/coder-write.xml')
}

// Every group of the platform, deployed or not: an absent one is unavailable, anything else is not found.
var knownGroups = join(objectKeys(loadJsonContent('../platform.json').routes), ',')

resource gateway 'Microsoft.ApiManagement/service@2024-05-01' existing = { name: gatewayName }

resource value 'Microsoft.ApiManagement/service/namedValues@2024-05-01' = [for one in items(values): {
  parent: gateway
  name: one.key
  properties: { displayName: one.key, value: one.value }
}]

resource fragment 'Microsoft.ApiManagement/service/policyFragments@2024-05-01' = [for one in items(fragments): {
  parent: gateway
  name: one.key
  dependsOn: [value]
  properties: { format: 'xml', value: one.value }
}]

resource policy 'Microsoft.ApiManagement/service/policies@2024-05-01' = {
  parent: gateway
  name: 'policy'
  dependsOn: [fragment]
  properties: {
    format: 'xml'
    value: replace(loadTextContent('../policies/all-apis.xml'), '__GROUPS__', knownGroups)
  }
}

resource health 'Microsoft.ApiManagement/service/apis@2024-05-01' = {
  parent: gateway
  name: 'health'
  properties: {
    displayName: 'Health of the gateway'
    path: 'health'
    protocols: ['https']
    subscriptionRequired: false
  }
}

resource live 'Microsoft.ApiManagement/service/apis/operations@2024-05-01' = [for method in ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']: {
  parent: health
  name: 'live-${toLower(method)}'
  properties: { displayName: '${method} live', method: method, urlTemplate: '/live' }
}]

resource healthPolicy 'Microsoft.ApiManagement/service/apis/policies@2024-05-01' = {
  parent: health
  name: 'policy'
  dependsOn: [fragment]
  properties: { format: 'xml', value: loadTextContent('../policies/health.xml') }
}
