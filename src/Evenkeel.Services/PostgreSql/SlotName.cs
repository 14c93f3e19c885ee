using System.Security.Cryptography;
using System.Text;
using Evenkeel.Core.Model;

namespace Evenkeel.Services.PostgreSql;

/// <summary>The replication slot of a node: <c>evenkeel_</c> and its name; slots take no hyphen and no more than 63 characters.</summary>
internal static class SlotName
{
    public const string Prefix = "evenkeel_";
    private const int Longest = 63;

    public static string Of(NodeName node)
    {
        var name = Prefix + node.Value.Replace('-', '_');
        return name.Length <= Longest ? name
            : string.Concat(name.AsSpan(0, Longest - 9), "_", Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(node.Value))).AsSpan(0, 8));
    }
}
