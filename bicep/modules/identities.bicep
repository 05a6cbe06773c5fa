// One identity for each route group. It exists before anything that grants it a right, and outlives its app.

@description('Region of the identities.')
param location string

@description('Distinguishes environments in names, such as `dev`.')
param environmentName string

@description('Names of the route groups.')
param groups array

@description('Tags of every resource.')
param tags object

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = [for group in groups: {
  name: 'id-coder-${group}-${environmentName}'
  location: location
  tags: tags
}]

@description('For each group, in the order given: `group`, `id`, `clientId`, `principalId`.')
output identities array = [for (group, i) in groups: {
  group: group
  id: identity[i].id
  clientId: identity[i].properties.clientId
  principalId: identity[i].properties.principalId
}]
