using System.Net;
using System.Text.Json;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Control;

/// <summary>Addresses are plain text in JSON.</summary>
public sealed class IPAddressConverter : TextConverter<IPAddress>
{
    protected override IPAddress Parse(string text) =>
        IPAddress.TryParse(text, out var address) ? address : throw new JsonException($"'{text}' is no IP address");
}
