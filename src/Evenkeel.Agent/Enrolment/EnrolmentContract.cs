using System.Text.Json;
using System.Text.Json.Serialization;
using Evenkeel.Agent.Host;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Enrolment;

/// <summary>Enrolment: HTTPS (TLS 1.3) on the private addresses of a node that has the authority's key. A new node has no certificate yet; its token stands for one.</summary>
internal static class EnrolmentRoutes
{
    /// <summary>GET: the authority's certificate, PEM. It is no secret; whoever asks compares its hash.</summary>
    public const string Authority = "/v1/authority";
    /// <summary>POST <see cref="EnrolmentRequest"/>: <see cref="EnrolmentAnswer"/>, or 403 with nothing.</summary>
    public const string Enrol = "/v1/enrol";
}

/// <param name="Request">What to sign, PEM.</param>
internal sealed record EnrolmentRequest(NodeName Node, string Token, string Request);

/// <param name="Certificate">The node's, PEM.</param>
/// <param name="Configuration">The node's, but for what only it knows: its directories and interfaces.</param>
/// <param name="Public">Its address on the public connection; null when it has none.</param>
/// <param name="Source">The cluster's file.</param>
internal sealed record EnrolmentAnswer(string Certificate, AgentConfiguration Configuration, string? Public, string Source)
{
    /// <summary>Every authority that nodes trust today, PEM; two while one takes the other's place.</summary>
    public IReadOnlyList<string> Authorities { get; set; } = [];
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true)]
[JsonSerializable(typeof(EnrolmentRequest))]
[JsonSerializable(typeof(EnrolmentAnswer))]
internal sealed partial class EnrolmentJson : JsonSerializerContext;
