using System.Net;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration.Checks;

/// <summary>Receivers of alerts, each in itself.</summary>
internal static class AlertChecks
{
    public static void All(ClusterSpec spec, Findings findings)
    {
        foreach (var receiver in spec.Alerts)
        {
            var at = $"alerts.{receiver.Name}";
            if (receiver.Command is not null && (receiver.Headers.Count > 0 || receiver.SecretFile is not null || receiver.AuthorizationFile is not null))
                findings.Error(at, "'headers', 'secret_file' and 'authorization_file' are for webhooks, this is a command", "Remove them, or write 'webhook'");
            if (receiver is { Webhook: { Scheme: "http" } url, AuthorizationFile: not null } && !(IPAddress.TryParse(url.Host, out var address) && IPAddress.IsLoopback(address)))
                findings.Warning(at + ".webhook", "what authorizes us crosses the network in clear text", "Write an https URL");
            if (receiver.Webhook is { UserInfo.Length: > 0 })
                findings.Error(at + ".webhook", "a password in a URL ends up in logs", "Put the Authorization header's value into a file and name it in 'authorization_file'");
        }
    }
}
