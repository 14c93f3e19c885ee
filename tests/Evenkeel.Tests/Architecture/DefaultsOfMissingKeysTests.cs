using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.Json.Serialization;
using Evenkeel.Agent.Control;
using Evenkeel.Backup.Snapshots;
using Evenkeel.Cli;
using Evenkeel.Core.Loop.Store;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.Raid.Hosting;
using Xunit;

namespace Evenkeel.Tests.Architecture;

/// <summary>
/// What an earlier release wrote lacks the keys that came later. Generated readers give an init-only property that is missing the default of
/// its type (null, 0, false) in place of its own: whoever reads what another release may have written has settable ones instead.
/// </summary>
public sealed class DefaultsOfMissingKeysTests
{
    public static TheoryData<string> Contexts => [.. All().Select(type => type.FullName!)];

    [Theory, MemberData(nameof(Contexts))]
    public void MissingKey_LeavesItsDefault(string context)
    {
        var offenders = Reachable(All().Single(type => type.FullName == context)).SelectMany(Lost).Distinct().Order(StringComparer.Ordinal).ToList();
        Assert.True(offenders.Count == 0, $"'init' must be 'set': {string.Join(", ", offenders)}");
    }

    private static IEnumerable<Type> All() =>
        new[] { typeof(StateJson), typeof(ControlJson), typeof(RevocationList), typeof(HostOrder), typeof(Snapshot), typeof(ExitCode) }.Select(type => type.Assembly).Distinct()
            .SelectMany(assembly => assembly.GetTypes()).Where(type => type.IsSubclassOf(typeof(JsonSerializerContext)));

    private static IEnumerable<string> Lost(Type type)
    {
        if (Instance(type) is not { } fresh) yield break;
        var given = type.GetConstructors().SelectMany(one => one.GetParameters()).Select(parameter => parameter.Name).ToHashSet(StringComparer.OrdinalIgnoreCase);
        foreach (var property in type.GetProperties(BindingFlags.Public | BindingFlags.Instance))
        {
            if (property.SetMethod?.ReturnParameter.GetRequiredCustomModifiers().Contains(typeof(IsExternalInit)) != true || given.Contains(property.Name)
                || property.IsDefined(typeof(RequiredMemberAttribute)) || property.IsDefined(typeof(JsonIgnoreAttribute))) continue;
            var unset = property.PropertyType.IsValueType ? Activator.CreateInstance(property.PropertyType) : null;
            if (!Equals(property.GetValue(fresh), unset)) yield return $"{type.Name}.{property.Name}";
        }
    }

    // Initialisers run whatever the constructor is given.
    private static object? Instance(Type type)
    {
        if (type.IsAbstract || type.IsEnum || type.IsGenericTypeDefinition) return null;
        if (type.IsValueType) return Activator.CreateInstance(type);
        if (type.GetConstructors().OrderByDescending(one => one.GetParameters().Length).FirstOrDefault() is not { } constructor) return null;
        try
        {
            return constructor.Invoke([.. constructor.GetParameters().Select(parameter => parameter.ParameterType.IsValueType ? Activator.CreateInstance(parameter.ParameterType) : null)]);
        }
        catch (TargetInvocationException)
        {
            return null; // It checks its arguments: it has no optional part that a reader could forget.
        }
    }

    private static HashSet<Type> Reachable(Type context)
    {
        HashSet<Type> seen = [];
        var open = new Stack<Type>(context.GetProperties().Where(property => property.PropertyType.IsGenericType).SelectMany(property => property.PropertyType.GetGenericArguments()));
        while (open.TryPop(out var type))
        {
            foreach (var part in type.IsArray ? [type.GetElementType()!] : type.GetGenericArguments()) open.Push(part);
            if (type.Namespace?.StartsWith("Evenkeel", StringComparison.Ordinal) != true || !seen.Add(type)) continue;
            foreach (var derived in type.GetCustomAttributes<JsonDerivedTypeAttribute>()) open.Push(derived.DerivedType);
            foreach (var property in type.GetProperties()) open.Push(property.PropertyType);
        }

        return seen;
    }
}
