// What one function app is told, and who may call it. The names are those of docs/settings.md and of the Functions host.

@description('Name of the route group.')
param group string

@description('Name of the function app.')
param siteName string

@description('Name of the app\'s storage account.')
param storageName string

@description('The identities of all groups: `group`, `clientId`, `principalId`.')
param identities array

@description('Where clients reach the platform.')
param publicUrl string

@description('Origins whose pages may call the API from a browser.')
param allowedOrigins array

@description('Addresses that a sign-in may return to.')
param redirectUris array

@description('User ids of the platform\'s operators.')
param operators array

@description('Who may register: `open`, `invite` or `closed`.')
param registration string

@description('Sender of the platform\'s mail; empty where it sends none.')
param mailFrom string

@description('Networks (CIDR) from which the gateway calls; whatever else claims an address is not believed.')
param gatewayNetworks array

@description('The apps of all groups: `group`, `hostName`.')
param apps array

@description('Address of the document store.')
param cosmosEndpoint string

@description('Host name of the broker.')
param serviceBusHost string

@description('Address of the key vault.')
param vaultUrl string

@description('Host name of the cache.')
param cacheHost string

@description('Where telemetry goes.')
param insightsConnection string

@description('Client id of the app registration that stands for the platform.')
param platformClientId string

@description('Object id of the gateway.')
param gatewayPrincipalId string

var access = loadJsonContent('../access.json')

var identity = first(filter(identities, one => one.group == group))
var usesMail = !empty(mailFrom) && contains(access.grants.mailServer.groups, group)

// Whom this group calls. (The list says for each app who calls it.)
var called = filter(apps, app => app.group != group && !empty(intersection(access.calls[?app.group] ?? [], ['*', group])))
// Who calls it.
var callers = access.calls[?group] ?? []
var calling = filter(identities, one => one.group != group && !empty(intersection(callers, ['*', one.group])))
// The gateway asks for these without a token. They hold public keys, and nothing else.
var open = group == 'auth' ? ['/api/auth/.well-known/openid-configuration', '/api/auth/.well-known/jwks.json'] : []

var upstreams = toObject(
  called,
  app => 'CODER_UPSTREAM_${toUpper(replace(app.group, '-', '_'))}',
  app => 'https://${app.hostName}'
)
var mail = usesMail ? {
  CODER_SMTP_URL: '@Microsoft.KeyVault(SecretUri=${vaultUrl}secrets/coder-smtp-url/)'
  CODER_MAIL_FROM: mailFrom
} : {}
// Without a list of its own the platform takes the public address.
var origins = empty(allowedOrigins) ? {} : { CODER_ALLOWED_ORIGINS: join(allowedOrigins, ',') }
var redirects = empty(redirectUris) ? {} : { CODER_REDIRECT_URIS: join(redirectUris, ',') }
var people = empty(operators) ? {} : { CODER_OPERATORS: join(operators, ',') }

var platform = {
  CODER_ENVIRONMENT: 'production'
  CODER_PUBLIC_URL: publicUrl
  CODER_REGISTRATION: registration
  CODER_MASTER_KEY: '@Microsoft.KeyVault(SecretUri=${vaultUrl}secrets/coder-master-key/)'
  CODER_TRUSTED_PROXIES: join(concat(['127.0.0.0/8'], gatewayNetworks), ',')
  CODER_COSMOS_ENDPOINT: cosmosEndpoint
  CODER_SERVICEBUS_NAMESPACE: serviceBusHost
  CODER_KEYVAULT_URL: vaultUrl
  CODER_REDIS_HOST: cacheHost
  AZURE_CLIENT_ID: identity.clientId
  CODER_PLATFORM_AUDIENCE: 'api://${platformClientId}'
  // Else the client of Cosmos DB waits for an address that only virtual machines have.
  COSMOS_DISABLE_IMDS: '1'
}

var host = {
  AzureWebJobsStorage__accountName: storageName
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identity.clientId
  ServiceBus__fullyQualifiedNamespace: serviceBusHost
  ServiceBus__credential: 'managedidentity'
  ServiceBus__clientId: identity.clientId
  AzureWebJobsDisableHomepage: 'true'
  APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnection
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identity.clientId};Authorization=AAD'
}

resource site 'Microsoft.Web/sites@2025-03-01' existing = { name: siteName }

resource settings 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: site
  name: 'appsettings'
  properties: union(host, platform, upstreams, mail, origins, redirects, people)
}

// The gateway comes in, and the groups that call this one, each as its own identity; nobody else does. For whom they call,
// another token says (`X-Coder-Assertion`), and every handler checks that for itself.
resource admitted 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: site
  name: 'authsettingsV2'
  dependsOn: [settings]
  properties: {
    platform: { enabled: true, runtimeVersion: '~1' }
    httpSettings: { requireHttps: true }
    login: { tokenStore: { enabled: false } }
    globalValidation: { requireAuthentication: true, unauthenticatedClientAction: 'Return401', excludedPaths: open }
    identityProviders: {
      azureActiveDirectory: {
        enabled: true
        registration: {
          clientId: platformClientId
          openIdIssuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
        }
        validation: {
          allowedAudiences: ['api://${platformClientId}', platformClientId]
          defaultAuthorizationPolicy: {
            allowedPrincipals: { identities: concat([gatewayPrincipalId], map(calling, one => one.principalId)) }
          }
        }
      }
    }
  }
}
