using System.Buffers;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>Names of headers (RFC 9110, 5.1: a token).</summary>
internal static class FieldName
{
    private static readonly SearchValues<char> token =
        SearchValues.Create("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

    public static bool IsOne(ReadOnlySpan<char> name) => !name.IsEmpty && !name.ContainsAnyExcept(token);

    public static bool Is(this ReadOnlySpan<char> name, string other) => name.Equals(other, StringComparison.OrdinalIgnoreCase);
}
