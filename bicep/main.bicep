// The whole deployment: one resource group with everything that the platform needs, made from the manifest that the
// groups declare (platform.json). The APIs of the groups follow one by one (api.bicep); `deploy` does it all in order.

targetScope = 'subscription'

@description('Region of everything. It must offer Flex Consumption with the runtime `custom` 1.0.')
param location string

@description('Distinguishes environments in names, such as `dev`.')
@minLength(2)
@maxLength(4)
param environmentName string

@description('Whether this is production: private network, several zones, reserved capacity.')
param isProduction bool

@description('Client id of the app registration that stands for the platform; docs/deploy.md says how it is made.')
param platformClientId string

@description('Where clients reach the platform, such as https://api.example.com, without a slash at the end. Empty: the gateway\'s own address.')
param publicUrl string = ''

@description('Origins whose pages may call the API from a browser. Empty: the public address alone.')
param allowedOrigins array = []

@description('Addresses that a sign-in may return to. Empty: `/auth/callback` of the public address.')
param redirectUris array = []

@description('User ids of the platform\'s operators.')
param operators array = []

@description('Who may register.')
@allowed(['open', 'invite', 'closed'])
param registration string = 'invite'

@description('Sender of the platform\'s mail. Empty: no mail is sent. Else the vault must hold `coder-smtp-url`.')
param mailFrom string = ''

@description('Who is named as the publisher of the APIs.')
param publisherEmail string

@description('Mail addresses that alerts reach.')
param alertEmails array

@description('The money that a month may cost, in the currency of the subscription.')
param monthlyBudget int

@description('First day of the month in which the budget begins, such as 2027-01-01.')
param budgetStart string

@description('Most gigabytes of logs a day; -1 for no bound.')
param dailyLogGigabytes int

@description('Most instances of one app.')
param maxInstances int = 40

@description('Most request units a second of one container in production.')
param maxContainerThroughput int = 4000

var suffix = take(uniqueString(subscription().id, environmentName), 6)
var tags = { application: 'coder', environment: environmentName }

var groups = map(loadJsonContent('platform.json').groups, group => {
  name: group.name
  containers: group.containers
  subscription: group.subscription
  takesJobs: !empty(filter(group.functions, one => one.trigger == 'jobs'))
})

resource home 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'rg-coder-${environmentName}'
  location: location
  tags: tags
}

module identities 'modules/identities.bicep' = {
  name: 'identities'
  scope: home
  params: {
    location: location
    environmentName: environmentName
    groups: map(groups, group => group.name)
    tags: tags
  }
}

module network 'modules/network.bicep' = if (isProduction) {
  name: 'network'
  scope: home
  params: { location: location, tags: tags }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  scope: home
  params: {
    location: location
    environmentName: environmentName
    isProduction: isProduction
    alertEmails: alertEmails
    dailyGigabytes: dailyLogGigabytes
    identities: identities.outputs.identities
    tags: tags
  }
}

module documents 'modules/documents.bicep' = {
  name: 'documents'
  scope: home
  params: {
    location: location
    accountName: 'cosmos-coder-${environmentName}-${suffix}'
    isProduction: isProduction
    groups: groups
    identities: identities.outputs.identities
    maxThroughput: maxContainerThroughput
    workspaceId: monitoring.outputs.workspaceId
    tags: tags
  }
}

module messaging 'modules/messaging.bicep' = {
  name: 'messaging'
  scope: home
  params: {
    location: location
    namespaceName: 'sb-coder-${environmentName}-${suffix}'
    isProduction: isProduction
    groups: groups
    identities: identities.outputs.identities
    workspaceId: monitoring.outputs.workspaceId
    tags: tags
  }
}

module vault 'modules/vault.bicep' = {
  name: 'vault'
  scope: home
  params: {
    location: location
    environmentName: environmentName
    isProduction: isProduction
    identities: identities.outputs.identities
    hasMailServer: !empty(mailFrom)
    workspaceId: monitoring.outputs.workspaceId
    tags: tags
  }
}

module cache 'modules/cache.bicep' = {
  name: 'cache'
  scope: home
  params: {
    location: location
    cacheName: 'redis-coder-${environmentName}-${suffix}'
    isProduction: isProduction
    identities: identities.outputs.identities
    tags: tags
  }
}

module gateway 'modules/gateway.bicep' = {
  name: 'gateway'
  scope: home
  params: {
    location: location
    gatewayName: 'apim-coder-${environmentName}-${suffix}'
    isProduction: isProduction
    subnetId: isProduction ? network!.outputs.gatewaySubnetId : ''
    publisherEmail: publisherEmail
    insightsName: monitoring.outputs.insightsName
    workspaceId: monitoring.outputs.workspaceId
    tags: tags
  }
}

module app 'modules/function-app.bicep' = [for (group, i) in groups: {
  name: 'app-${group.name}'
  scope: home
  params: {
    location: location
    group: group.name
    environmentName: environmentName
    suffix: suffix
    isProduction: isProduction
    identity: identities.outputs.identities[i]
    maxInstances: maxInstances
    subnetId: isProduction ? network!.outputs.appSubnetId : ''
    workspaceId: monitoring.outputs.workspaceId
    tags: tags
  }
}]

module apps 'modules/collected.bicep' = {
  name: 'apps'
  scope: home
  params: {
    apps: [for (group, i) in groups: {
      group: group.name
      name: app[i].outputs.name
      hostName: app[i].outputs.hostName
    }]
  }
}

module settings 'modules/app-settings.bicep' = [for (group, i) in groups: {
  name: 'settings-${group.name}'
  scope: home
  params: {
    group: group.name
    siteName: app[i].outputs.name
    storageName: app[i].outputs.storageName
    identities: identities.outputs.identities
    apps: apps.outputs.apps
    gatewayPrincipalId: gateway.outputs.principalId
    gatewayNetworks: isProduction ? [network!.outputs.gatewayAddresses] : map(gateway.outputs.addresses, address => '${address}/32')
    publicUrl: empty(publicUrl) ? gateway.outputs.url : publicUrl
    allowedOrigins: allowedOrigins
    redirectUris: redirectUris
    operators: operators
    registration: registration
    mailFrom: mailFrom
    cosmosEndpoint: documents.outputs.endpoint
    serviceBusHost: messaging.outputs.hostName
    vaultUrl: vault.outputs.url
    cacheHost: cache.outputs.hostName
    insightsConnection: monitoring.outputs.insightsConnection
    platformClientId: platformClientId
  }
}]

module policies 'modules/gateway-policies.bicep' = {
  name: 'gateway-policies'
  scope: home
  params: {
    gatewayName: gateway.outputs.name
    publicUrl: empty(publicUrl) ? gateway.outputs.url : publicUrl
    allowedOrigins: allowedOrigins
    authHost: apps.outputs.authHost
    platformClientId: platformClientId
  }
}

module privateServices 'modules/private-services.bicep' = if (isProduction) {
  name: 'private-services'
  scope: home
  params: {
    location: location
    subnetId: network!.outputs.endpointSubnetId
    zones: network!.outputs.zones
    services: [
      { name: 'documents', targetId: documents.outputs.accountId, service: 'Sql', zone: 'documents' }
      { name: 'messaging', targetId: messaging.outputs.namespaceId, service: 'namespace', zone: 'messaging' }
      { name: 'vault', targetId: vault.outputs.vaultId, service: 'vault', zone: 'vault' }
      { name: 'cache', targetId: cache.outputs.cacheId, service: 'redisEnterprise', zone: 'cache' }
    ]
    tags: tags
  }
}

module privateApps 'modules/private-services.bicep' = [for (group, i) in (isProduction ? groups : []): {
  name: 'private-${group.name}'
  scope: home
  params: {
    location: location
    subnetId: network!.outputs.endpointSubnetId
    zones: network!.outputs.zones
    services: [
      { name: 'app-${group.name}', targetId: app[i].outputs.siteId, service: 'sites', zone: 'sites' }
      { name: 'blob-${group.name}', targetId: app[i].outputs.storageId, service: 'blob', zone: 'blob' }
      { name: 'table-${group.name}', targetId: app[i].outputs.storageId, service: 'table', zone: 'table' }
    ]
    tags: tags
  }
}]

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  scope: home
  params: {
    location: location
    actionGroupId: monitoring.outputs.actionGroupId
    alertEmails: alertEmails
    insightsId: monitoring.outputs.insightsId
    documentsId: documents.outputs.accountId
    messagingId: messaging.outputs.namespaceId
    gatewayId: gateway.outputs.gatewayId
    isProduction: isProduction
    monthlyBudget: monthlyBudget
    budgetStart: budgetStart
    tags: tags
  }
}

@description('Name of the resource group.')
output resourceGroup string = home.name
@description('Name of the gateway.')
output gateway string = gateway.outputs.name
@description('Where clients reach the platform.')
output url string = empty(publicUrl) ? gateway.outputs.url : publicUrl
@description('The function apps: `group`, `name`, `hostName`.')
output apps array = apps.outputs.apps
