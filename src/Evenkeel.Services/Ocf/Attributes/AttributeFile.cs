using System.Text.Json;

namespace Evenkeel.Services.Ocf.Attributes;

/// <summary>Attributes in one file of this node, replaced atomically; those until the next boot go with the boot id.</summary>
public sealed class AttributeFile : IAttributes
{
    private sealed record Content(string Boot, Dictionary<string, Dictionary<string, string>> Scopes);

    private readonly string _path;
    private readonly string _boot;
    private readonly Lock _gate = new();
    private readonly Dictionary<AttributeKey, string> _values = [];

    /// <param name="path">Made with the first attribute. One that cannot be read begins anew, and is kept aside as <c>.bad</c>.</param>
    /// <param name="boot">What is different after each boot; null for the kernel's boot id.</param>
    public AttributeFile(string path, string? boot = null)
    {
        _path = path;
        _boot = boot ?? File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim();
        if (!File.Exists(path))
        {
            return;
        }

        try
        {
            var content = JsonSerializer.Deserialize<Content>(File.ReadAllText(path))!;
            foreach (var (scope, names) in content.Scopes)
            {
                foreach (var (name, value) in names)
                {
                    var key = new AttributeKey(scope, name);
                    if (!key.IsTransient || content.Boot == _boot)
                    {
                        _values[key] = value;
                    }
                }
            }
        }
        catch (Exception exception) when (exception is JsonException or NullReferenceException)
        {
            File.Move(path, path + ".bad", overwrite: true);
        }
    }

    public Task<string?> GetAsync(AttributeKey key, CancellationToken cancellation)
    {
        lock (_gate)
        {
            return Task.FromResult(_values.GetValueOrDefault(key));
        }
    }

    public Task SetAsync(AttributeKey key, string? value, CancellationToken cancellation)
    {
        lock (_gate)
        {
            if (_values.GetValueOrDefault(key) == value)
            {
                return Task.CompletedTask;
            }

            if (value is null)
            {
                _values.Remove(key);
            }
            else
            {
                _values[key] = value;
            }

            Save();
        }

        return Task.CompletedTask;
    }

    public Task<IReadOnlyDictionary<AttributeKey, string>> AllAsync(CancellationToken cancellation)
    {
        lock (_gate)
        {
            return Task.FromResult<IReadOnlyDictionary<AttributeKey, string>>(new Dictionary<AttributeKey, string>(_values));
        }
    }

    private void Save()
    {
        var scopes = _values.GroupBy(pair => pair.Key.Scope).ToDictionary(
            group => group.Key, group => group.ToDictionary(pair => pair.Key.Name, pair => pair.Value));
        Directory.CreateDirectory(Path.GetDirectoryName(_path)!);
        File.WriteAllText(_path + ".new", JsonSerializer.Serialize(new Content(_boot, scopes)));
        File.Move(_path + ".new", _path, overwrite: true);
    }
}
