using System.Text.Json;

namespace Evenkeel.Services.Ocf;

/// <summary>A resource's context as the host remembers it for the next agent.</summary>
internal static class ResourceMemo
{
    public static string Write(ResourceContext resource) => JsonSerializer.Serialize(resource);

    /// <summary>Null when the host was told nothing yet, or by an agent of another version.</summary>
    public static ResourceContext? Read(string memo)
    {
        try
        {
            return memo.Length == 0 ? null : JsonSerializer.Deserialize<ResourceContext>(memo);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
