// Package deploy reads what deploy/ has for those who run pargate: the manifests as strictly as Kubernetes' own types and the Compose
// specification allow, and what must be true of them beyond that. It is the only one that uses those modules.
package deploy
