using System.Net;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration.Checks;

/// <summary>An etcd of the user's, in itself.</summary>
internal static class CoordinationChecks
{
    public static void All(ClusterSpec spec, Findings findings)
    {
        if (spec.Coordination is not { Kind: CoordinationKind.External, Endpoints: { } endpoints } store)
            return;
        foreach (var url in endpoints)
        {
            if (!IPAddress.TryParse(url.Host.Trim('[', ']'), out var address))
                findings.Error("coordination.external", $"'{url.Host}' is a name: the store must be found when DNS cannot be asked", "Write the member's address");
            else if (url.Scheme != endpoints[0].Scheme)
                findings.Error("coordination.external", "some members speak http, others https", "Give all of them the same");
            else if (url.Scheme == "http" && (store.AuthorityFile ?? store.CertificateFile) is not null)
                findings.Error("coordination.external", "certificates are named, and the URL is http", "Write https");
            else if (url.Scheme == "http" && !IPAddress.IsLoopback(address))
                findings.Warning("coordination.external", $"what is decided, and the guards' key, cross the network to {url.Host} in clear text, and anybody there can change it", "Use https and client certificates");
        }
        if ((store.CertificateFile is null) != (store.KeyFile is null))
            findings.Error("coordination.certificate_file", "'certificate_file' and 'key_file' belong together", "Give both, or neither");
    }
}
