// The apps once all of them are made: outputs of a loop of modules can be read by their index only, while this list can be
// searched.

@description('Every app: `group`, `name`, `hostName`.')
param apps array

@description('Every app, as given.')
output apps array = apps
@description('Host name of the app that publishes the keys of tokens.')
output authHost string = first(filter(apps, app => app.group == 'auth')).hostName
