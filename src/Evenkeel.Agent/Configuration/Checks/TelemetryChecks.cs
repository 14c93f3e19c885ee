using System.Net;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration.Checks;

/// <summary>Where traces go, in itself.</summary>
internal static class TelemetryChecks
{
    public static void All(ClusterSpec spec, Findings findings)
    {
        if (spec.Telemetry is not { } telemetry)
            return;
        if (telemetry.Otlp is { UserInfo.Length: > 0 })
            findings.Error("telemetry.otlp", "a password in a URL ends up in logs", "Put the Authorization header's value into a file and name it in 'authorization_file'");
        if (telemetry is { Otlp: { Scheme: "http" } url, AuthorizationFile: not null } && !(IPAddress.TryParse(url.Host, out var address) && IPAddress.IsLoopback(address)))
            findings.Warning("telemetry.otlp", "what authorizes us crosses the network in clear text", "Write an https URL");
    }
}
