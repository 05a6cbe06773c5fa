// The gateway itself: API Management, its identity, and where its telemetry goes. What it answers is in
// gateway-policies.bicep, each group's API in ../api.bicep.

@description('Region of the gateway.')
param location string

@description('Name of the gateway, unique in all of Azure.')
param gatewayName string

@description('Whether this is production: Standard v2, which reaches the private network.')
param isProduction bool

@description('Subnet from which the gateway calls the apps; empty outside the private network.')
param subnetId string

@description('Who is named as the publisher of the APIs, and told about the service.')
param publisherEmail string

@description('Name of the Application Insights component.')
param insightsName string

@description('Log workspace that takes the gateway\'s metrics.')
param workspaceId string

@description('Tags of every resource.')
param tags object

var access = loadJsonContent('../access.json')

resource insights 'Microsoft.Insights/components@2020-02-02' existing = { name: insightsName }

// Never the Consumption tier: it has no event streams, no limits by key, and ends calls after 30 seconds.
resource gateway 'Microsoft.ApiManagement/service@2024-05-01' = {
  name: gatewayName
  location: location
  tags: tags
  sku: { name: isProduction ? 'StandardV2' : 'BasicV2', capacity: 1 }
  identity: { type: 'SystemAssigned' }
  properties: {
    publisherEmail: publisherEmail
    publisherName: 'Coder IDE'
    publicNetworkAccess: 'Enabled'
    virtualNetworkType: empty(subnetId) ? 'None' : 'External'
    virtualNetworkConfiguration: empty(subnetId) ? null : { subnetResourceId: subnetId }
  }
}

resource gatewayTelemetry 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(insights.id, gateway.id, access.grants.gatewayTelemetry.role)
  scope: insights
  properties: {
    principalId: gateway.identity.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', access.roles[access.grants.gatewayTelemetry.role])
  }
}

resource logger 'Microsoft.ApiManagement/service/loggers@2024-05-01' = {
  parent: gateway
  name: 'insights'
  dependsOn: [gatewayTelemetry]
  properties: {
    loggerType: 'applicationInsights'
    resourceId: insights.id
    credentials: { connectionString: insights.properties.ConnectionString, identityClientId: 'SystemAssigned' }
  }
}

// No bodies and no headers are logged: they carry credentials, and reading a body would hold up its stream.
// `None` leaves the caller's `traceparent` as it came.
resource diagnostics 'Microsoft.ApiManagement/service/diagnostics@2024-05-01' = {
  parent: gateway
  name: 'applicationinsights'
  properties: {
    loggerId: logger.id
    alwaysLog: 'allErrors'
    httpCorrelationProtocol: 'None'
    logClientIp: false
    metrics: true
    sampling: { samplingType: 'fixed', percentage: isProduction ? 10 : 100 }
    frontend: { request: { headers: [], body: { bytes: 0 } }, response: { headers: [], body: { bytes: 0 } } }
    backend: { request: { headers: [], body: { bytes: 0 } }, response: { headers: [], body: { bytes: 0 } } }
  }
}

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'workspace'
  scope: gateway
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'GatewayLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

@description('Name of the gateway.')
output name string = gateway.name
@description('The gateway.')
output gatewayId string = gateway.id
@description('Its own address, which callers use unless the platform has a domain.')
output url string = gateway.properties.gatewayUrl
@description('As whom it calls the apps.')
output principalId string = gateway.identity.principalId
@description('Addresses from which it calls where there is no private network.')
output addresses array = gateway.properties.?outboundPublicIPAddresses ?? []
