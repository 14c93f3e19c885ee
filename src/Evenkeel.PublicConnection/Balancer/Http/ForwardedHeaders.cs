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

    /// <summary>Of a client alone, without anybody in front of it.</summary>
    internal sealed record Said(IPAddress? Address, string Scheme, string? Host, string? Chain, string Element);

    public static void Apply(HttpContext client, HttpRequestMessage request, IReadOnlyList<IPNetwork> trusted)
    {
        var said = Say(client);
        var headers = request.Headers;
        if (trusted.Count == 0 || !Believes(trusted, said.Address))
        {
            Drop(headers);
            if (said.Chain is not null) headers.TryAddWithoutValidation(For, said.Chain);
            headers.TryAddWithoutValidation(Standard, said.Element);
            headers.TryAddWithoutValidation(Proto, said.Scheme);
            if (!string.IsNullOrEmpty(said.Host)) headers.TryAddWithoutValidation(Host, said.Host);
            return;
        }
        var (chain, elements) = (Joined(headers, For), Joined(headers, Standard));
        // Somebody in front speaks one of the two only: whoever reads the other must not take a proxy for the client.
        if (elements.Length == 0 && chain.Length > 0) elements = ForwardedElement.OfChain(chain);
        else if (chain.Length == 0 && elements.Length > 0) chain = ForwardedElement.ChainOf(elements);
        headers.Remove(For);
        headers.Remove(Standard);
        if (said.Chain is not null) headers.TryAddWithoutValidation(For, chain.Length == 0 ? said.Chain : $"{chain}, {said.Chain}");
        headers.TryAddWithoutValidation(Standard, elements.Length == 0 ? said.Element : $"{elements}, {said.Element}");
        if (!headers.NonValidated.Contains(Proto)) headers.TryAddWithoutValidation(Proto, said.Scheme);
        if (!headers.NonValidated.Contains(Host) && !string.IsNullOrEmpty(said.Host)) headers.TryAddWithoutValidation(Host, said.Host);
    }

    private static Said Say(HttpContext client)
    {
        var connection = client.Features.Get<ClientConnections.ClientConnection>();
        var (address, request) = (client.Connection.RemoteIpAddress, client.Request);
        // Over HTTP/2 several requests may do this at once: each sees a whole one.
        if (connection?.Said is { } known && ReferenceEquals(known.Address, address) && known.Host == request.Host.Value && known.Scheme == request.Scheme) return known;
        var plain = address is { IsIPv4MappedToIPv6: true } ? address.MapToIPv4() : address;
        var said = new Said(address, request.Scheme, request.Host.Value, plain?.ToString(), ForwardedElement.Write(plain, request.Scheme, request.Host.Value));
        if (connection is not null) connection.Said = said;
        return said;
    }

    private static bool Believes(IReadOnlyList<IPNetwork> trusted, IPAddress? address)
    {
        if (address is null) return false;
        if (address.IsIPv4MappedToIPv6) address = address.MapToIPv4();
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
