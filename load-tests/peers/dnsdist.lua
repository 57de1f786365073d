-- dnsdist with its packet cache: two listeners that share a port.
setSecurityPollSuffix("")
setLocal("127.0.0.1:@PORT@", { reusePort = true })
addLocal("127.0.0.1:@PORT@", { reusePort = true })
newServer({ address = "127.0.0.1:@ORIGIN@", healthCheckMode = "up" })
answers = newPacketCache(300000, { maxTTL = 3600, numberOfShards = 20 })
getPool(""):setCache(answers)
