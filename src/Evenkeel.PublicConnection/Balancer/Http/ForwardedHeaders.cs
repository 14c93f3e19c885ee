using System.Net;
using System.Net.Http;
using Microsoft.AspNetCore.Http;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>
/// Tells the destination who the client is: <c>Forwarded</c> (RFC 7239) and <c>X-Forwarded-For</c>, <c>-Proto</c>, <c>-Host</c>, which say
/// the same. What a client itself sent under these names, or any other <c>X-Forwarded-*</c> or <c>X-Real-IP</c>, is dropped, since it could
/// claim to be anybody. Only the words of a proxy that the entry trusts are kept, and its own address is appended to them.
/// </summary>
internal static class ForwardedHeaders
{
    private const string Standard = "Forwarded", For = "X-Forwarded-For", Proto = "X-Forwarded-Proto", Host = "X-Forwarded-Host";

    public static void Apply(HttpContext client, HttpRequestMessage request, IReadOnlyList<IPNetwork> trusted)
    {
        var address = client.Connection.RemoteIpAddress;
        if (address is { IsIPv4MappedToIPv6: true }) address = address.MapToIPv4();
        var headers = request.Headers;
        if (!Believes(trusted, address)) Drop(headers);
        var (chain, elements) = (Joined(headers, For), Joined(headers, Standard));
        // Somebody in front speaks one of the two only: whoever reads the other must not take a proxy for the client.
        if (elements.Length == 0 && chain.Length > 0) elements = ForwardedElement.OfChain(chain);
        else if (chain.Length == 0 && elements.Length > 0) chain = ForwardedElement.ChainOf(elements);
        headers.Remove(For);
        headers.Remove(Standard);
        var own = ForwardedElement.Write(address, client.Request.Scheme, client.Request.Host.Value);
        if (address is not null) headers.TryAddWithoutValidation(For, chain.Length == 0 ? address.ToString() : $"{chain}, {address}");
        headers.TryAddWithoutValidation(Standard, elements.Length == 0 ? own : $"{elements}, {own}");
        if (!headers.NonValidated.Contains(Proto)) headers.TryAddWithoutValidation(Proto, client.Request.Scheme);
        if (!headers.NonValidated.Contains(Host) && client.Request.Host.HasValue) headers.TryAddWithoutValidation(Host, client.Request.Host.Value);
    }

    private static bool Believes(IReadOnlyList<IPNetwork> trusted, IPAddress? address)
    {
        if (address is null) return false;
        foreach (var network in trusted)
            if (network.Contains(address)) return true;
        return false;
    }

    private static void Drop(System.Net.Http.Headers.HttpRequestHeaders headers)
    {
        List<string>? claims = null;
        foreach (var header in headers.NonValidated)
            if (IsClaim(header.Key)) (claims ??= []).Add(header.Key);
        foreach (var claim in claims ?? []) headers.Remove(claim);
    }

    // Behind CGI and its heirs, X_Forwarded_For is X-Forwarded-For.
    private static bool IsClaim(string name) => name is [('F' or 'f' or 'X' or 'x'), ..]
        && name.Replace('_', '-') is var plain
        && (plain.Equals(Standard, StringComparison.OrdinalIgnoreCase) || plain.Equals("X-Real-IP", StringComparison.OrdinalIgnoreCase)
            || plain.StartsWith("X-Forwarded", StringComparison.OrdinalIgnoreCase));

    private static string Joined(System.Net.Http.Headers.HttpRequestHeaders headers, string name) =>
        headers.NonValidated.TryGetValues(name, out var values) ? string.Join(", ", values) : "";
}
