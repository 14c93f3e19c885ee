using System.Security.Cryptography;
using System.Text;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Services.Ocf.Agents;
using Evenkeel.Services.Ocf.Attributes;
using Evenkeel.Services.Ocf.Hosting;

namespace Evenkeel.Services.Ocf;

/// <summary>What the instances of this node share.</summary>
internal sealed class OcfSetting(
    IGuardLink guard, IReadOnlyList<string> guardCommand, string logDirectory, AgentDirectory agents, ActionEnvironment environment,
    IAttributes attributes, Lazy<HostServer> server)
{
    public const string DriverWord = "ocf";
    public IGuardLink Guard => guard;
    public AgentDirectory Agents => agents;
    public ActionEnvironment Environment => environment;
    public IAttributes Attributes => attributes;
    public HostServer Server => server.Value;

    /// <summary>How the guard starts the host of this order: the same for the same agent and parameters under the same lease.</summary>
    public LaunchRequest Request(string service, string agent, IReadOnlyDictionary<string, string> parameters, Epoch? lease)
    {
        var text = new StringBuilder(agent);
        foreach (var (name, value) in parameters.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            text.Append('\0').Append(name).Append('\0').Append(value);
        }

        return new LaunchRequest
        {
            Instance = service,
            Driver = DriverWord,
            Lease = lease is { } epoch ? new HeldLease(ResourceId.Service(service), epoch) : null,
            Command = [.. guardCommand, "host", server.Value.Path, service],
            // A fingerprint, for parameters may be secrets and a process's environment is easily read.
            Environment = new Dictionary<string, string> { ["EVENKEEL_ORDER"] = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())))[..16] },
            LogFile = Path.Combine(logDirectory, service + ".log"),
        };
    }
}
